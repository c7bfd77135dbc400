"""What can go wrong with a provider."""

from http import HTTPStatus

MOST_SHOWN = 200


class ProviderFailed(Exception):
    """A provider did not do its work. `again`: another try may help, as it does not for a key that is refused."""

    def __init__(self, provider: str, why: str, *, again: bool = True) -> None:
        super().__init__(f"{provider}: {why}")
        self.provider = provider
        self.again = again


def refused(provider: str, status: int, body: str = "", *, key: str) -> ProviderFailed:
    """An HTTP answer that is no success. `key` is the setting that holds the provider's key."""
    said = " ".join(body.split())[:MOST_SHOWN]
    match status:
        case HTTPStatus.UNAUTHORIZED | HTTPStatus.FORBIDDEN:
            return ProviderFailed(provider, f"{status}, the key was refused: check {key}; {said}", again=False)
        case HTTPStatus.PAYMENT_REQUIRED:
            return ProviderFailed(provider, f"{status}, the account has no credit; {said}", again=False)
        case HTTPStatus.TOO_MANY_REQUESTS:
            return ProviderFailed(provider, f"{status}, too many requests at once; {said}", again=False)
        case _ if status < HTTPStatus.INTERNAL_SERVER_ERROR:
            return ProviderFailed(provider, f"{status}, the request was refused; {said}", again=False)
    return ProviderFailed(provider, f"{status}; {said}")
