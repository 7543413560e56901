"""The order form."""

from django import forms

from testproject.orders.models import Product


class OrderForm(forms.Form):
    items = forms.ModelMultipleChoiceField(
        Product.objects.all(), to_field_name="name", widget=forms.CheckboxSelectMultiple
    )
    email = forms.EmailField(label="Your e-mail address")
    card_number = forms.CharField(
        required=False,
        max_length=30,
        help_text="Leave it empty to pay by invoice. 4000 0000 0000 0002 is declined.",
    )
    express = forms.BooleanField(required=False, label="Express delivery, by courier")
