"""The bank, or what passes for one here."""

#: The card number that payment providers decline when one only tests.
DECLINED = "4000000000000002"


class CardDeclined(Exception):
    """The bank does not pay."""


def charge(card_number: str) -> None:
    """Raises ``CardDeclined``."""
    if card_number.replace(" ", "") == DECLINED:
        raise CardDeclined("Your card was declined. There is no order, and nothing is scheduled.")
