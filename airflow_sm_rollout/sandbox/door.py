"""Who may come in: callers of this machine with a signature, and no page of a browser's.

A web page can reach a port of the machine that shows it. Two things give it away: the browser's ``Origin`` header, and,
where the page's own name was bound to 127.0.0.1 after it was loaded (DNS rebinding), that name in ``Host``. AWS's
clients send no ``Origin``, and their ``Host`` is the address that they were given. Both are looked at before the body
is read and before any service hears of the request, so that none can answer a preflight.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Collection
from urllib.parse import parse_qs

from airflow_sm_rollout.sandbox.errors import AwsError
from airflow_sm_rollout.sandbox.wire import HttpRequest, HttpResponse, encode_refusal, is_form, names_a_service

_HOST = re.compile(r"(\[[^\]]+\]|[^:]+)(:\d+)?")
_SIGNED = re.compile(r"AWS4-[\w-]+ Credential=|AWS \S+:\S")
_SIGNED_IN_QUERY = re.compile(r"(?:^|&)(?:X-Amz-Signature|Signature)=[^&]", re.IGNORECASE)
_SIGNED_IN_FORM = re.compile(rb'name="?(?:X-Amz-Signature|Signature)\b', re.IGNORECASE)
_UNSIGNED_ON_AWS = {"AssumeRoleWithWebIdentity", "AssumeRoleWithSAML"}


class Door:
    """Lets requests in or refuses them.

    :param address: what the server listens on.
    :param names: names, beside ``localhost``, by which clients call it, like a container's name in its network; a name
        stands for those below it, too, as a bucket may be part of it.
    """

    def __init__(self, address: str, names: Collection[str] = ()) -> None:
        self._address = address
        self._names = ("localhost", *(name.lower().rstrip(".") for name in names))

    def refuse_stranger(self, request: HttpRequest) -> HttpResponse | None:
        """The refusal of a request that a web page may have sent; ``None`` for any other. Reads no body."""
        host = request.headers.get("host", "")
        if not self._is_ours(host):
            text = f"The sandbox does not answer to the host {host!r}; sm-rollout sandbox --allow-host NAME lets it."
        elif "origin" in request.headers or request.headers.get("sec-fetch-site", "none") != "none":
            text = "The sandbox does not answer to web pages."
        else:
            return None
        return encode_refusal(request, AwsError("AccessDenied", text, 403))

    def refuse_unsigned(self, request: HttpRequest) -> HttpResponse | None:
        """AWS's refusal of a request without a signature; ``None`` for any other. What the signature is worth is not
        looked at.
        """
        if _is_signed(request) or (is_form(request) and _action(request) in _UNSIGNED_ON_AWS):
            return None
        if names_a_service(request):
            return encode_refusal(request, AwsError("MissingAuthenticationToken", "Missing Authentication Token", 403))
        return encode_refusal(request, AwsError("AccessDenied", "Access Denied", 403))

    def _is_ours(self, host: str) -> bool:
        split = _HOST.fullmatch(host.lower())
        if split is None:
            return False
        name = split[1].strip("[]").rstrip(".")
        try:
            return self._is_own_address(name)
        except ValueError:
            return any(name == own or name.endswith(f".{own}") for own in self._names)

    def _is_own_address(self, name: str) -> bool:
        """Whether an address can be that of the server. No page's name turns into an address, so rebinding has no part
        in it.

        :raises ValueError: if it is no address.
        """
        asked = ipaddress.ip_address(name)
        if asked.is_loopback or name == self._address:
            return True
        try:
            return ipaddress.ip_address(self._address).is_unspecified
        except ValueError:  # it listens on a name's address
            return False


def _is_signed(request: HttpRequest) -> bool:
    if _SIGNED.match(request.headers.get("authorization", "")) or _SIGNED_IN_QUERY.search(request.query):
        return True
    is_upload = request.headers.get("content-type", "").startswith("multipart/form-data")
    return is_upload and bool(_SIGNED_IN_FORM.search(request.body))


def _action(request: HttpRequest) -> str:
    return parse_qs(request.body.decode("latin-1")).get("Action", [""])[0]
