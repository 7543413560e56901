"""A customer: a browser with cookies that fills in the shop's forms, CSRF token and all."""

import re
from html import unescape
from http import HTTPStatus
from urllib.error import HTTPError
from urllib.parse import urlencode, urljoin, urlsplit
from urllib.request import HTTPCookieProcessor, OpenerDirector, ProxyHandler, Request, build_opener

from testproject.demo.errors import DemoError


class Customer:
    def __init__(self, name: str, shop: str) -> None:
        self.name = name
        self.email = f"{name.lower()}@customers.example"
        self._shop = shop
        # No proxy: the shop is on this machine.
        self._browser: OpenerDirector = build_opener(HTTPCookieProcessor(), ProxyHandler({}))

    def order(self, *items: str, **fields: str) -> tuple[HTTPStatus, int | None]:
        """Place an order; the answer's status and, if it was accepted, the order's number."""
        status, url = self._fill_in("", "", {"email": self.email, "items": items, **fields})
        accepted = re.fullmatch(r"/orders/(\d+)/", urlsplit(url).path)
        return status, int(accepted.group(1)) if accepted else None

    def pay(self, order_id: int) -> HTTPStatus:
        return self._fill_in(f"orders/{order_id}/", f"orders/{order_id}/pay/", {})[0]

    def _fill_in(self, page: str, action: str, fields: dict[str, object]) -> tuple[HTTPStatus, str]:
        status, url, html = self._open(page)
        token = re.search(r'name="csrfmiddlewaretoken" value="([^"]+)"', html)
        if token is None:
            raise DemoError(f"{self.name} finds no form at {url}: the shop answers {status.value} {status.phrase}.")
        fields = {"csrfmiddlewaretoken": unescape(token.group(1)), **fields}
        status, url, _ = self._open(action, urlencode(fields, doseq=True).encode())
        return status, url

    def _open(self, path: str, data: bytes | None = None) -> tuple[HTTPStatus, str, str]:
        try:
            with self._browser.open(Request(urljoin(self._shop, path), data), timeout=30) as answer:
                return HTTPStatus(answer.status), answer.url, answer.read().decode()
        except HTTPError as refusal:
            with refusal:
                return HTTPStatus(refusal.code), refusal.url, refusal.read().decode()
