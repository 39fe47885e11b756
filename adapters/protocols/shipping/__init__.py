"""The dialect `shipping`: one user's devices share a session, ask for rates and labels, and tell each other news."""

from adapters.protocols.shipping.dialect import ShippingDialect, endpoints
from adapters.protocols.shipping.reference import REFERENCE

__all__ = ["REFERENCE", "ShippingDialect", "endpoints"]
