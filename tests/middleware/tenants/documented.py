"""The middleware as ``docs/middleware.md`` has it, word for word."""

from tests.docs.blocks import ROOT, blocks

PAGE = ROOT / "docs/middleware.md"

for block in blocks(PAGE, "python"):
    if "django_tenants" in block.text:
        exec(compile("\n" * block.line + block.text, str(PAGE), "exec"))
