"""Numbers of papers and accounts, found by their published form and, where there are some, their check digits.

- US social security number: ``AAA-GG-SSSS``; no area 000, 666 or 900 to 999, no group 00, no serial 0000 (SSA).
- Brazil's CPF, as written with points: two check digits, sums weighted by 10..2 and 11..2, modulo 11.
- Spain's DNI: eight digits and the letter at their remainder modulo 23.
- IBAN (ISO 13616): four characters moved to the end, letters as 10..35, remainder 1 modulo 97.
- Payment card (ISO/IEC 7812): sixteen digits in groups of four that begin with 4 or 5, Luhn's sum divisible by 10.
"""

from __future__ import annotations

import re

__all__ = ["has_identity_number"]

_EDGE, _END = r"(?<![\w.-])", r"(?![\w-]|\.\d)"
_SSN = re.compile(_EDGE + r"(?!000|666|9)\d{3}-(?!00)\d\d-(?!0000)\d{4}" + _END, re.ASCII)
_CPF = re.compile(_EDGE + r"\d{3}\.\d{3}\.\d{3}-\d\d" + _END, re.ASCII)
_DNI = re.compile(_EDGE + r"(\d{8})-?([A-HJ-NP-TV-Z])" + _END, re.ASCII)
_IBAN = re.compile(_EDGE + r"[A-Z]{2}\d\d(?: ?[A-Z0-9]{4}){2,7}(?: ?[A-Z0-9]{1,3})?" + _END, re.ASCII)
_CARD = re.compile(_EDGE + r"[45]\d{3}([ -])\d{4}\1\d{4}\1\d{4}" + _END, re.ASCII)
_LETTERS = "TRWAGMYFPDXBNJZSQVHLCKE"


def has_identity_number(text: str) -> bool:
    """Whether the text holds a number that has one of the forms and whose check digits are right."""
    return (
        _SSN.search(text) is not None
        or any(_is_cpf(_digits(each[0])) for each in _CPF.finditer(text))
        or any(_LETTERS[int(each[1]) % 23] == each[2] for each in _DNI.finditer(text))
        or any(_is_iban(each[0].replace(" ", "")) for each in _IBAN.finditer(text))
        or any(_is_luhn(_digits(each[0])) for each in _CARD.finditer(text))
    )


def _digits(text: str) -> list[int]:
    return [int(each) for each in text if each.isdigit()]


def _is_cpf(digits: list[int]) -> bool:
    """Numbers of one repeated digit have right check digits and are not given out."""
    if len(set(digits)) == 1:
        return False
    for known in (9, 10):
        total = sum(digit * (known + 1 - place) for place, digit in enumerate(digits[:known]))
        if digits[known] != total * 10 % 11 % 10:
            return False
    return True


def _is_iban(text: str) -> bool:
    return (
        15 <= len(text) <= 34 and int("".join(str(int(each, 36)) for each in text[4:] + text[:4])) % 97 == 1
    )


def _is_luhn(digits: list[int]) -> bool:
    doubled = [sum(divmod(2 * digit, 10)) for digit in digits[-2::-2]]
    return (sum(digits[-1::-2]) + sum(doubled)) % 10 == 0
