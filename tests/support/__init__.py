"""What several folders of tests need: how they start processes, and how they get a database."""
