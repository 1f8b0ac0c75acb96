"""The sky as readings: computed ahead, published with source, age and confidence, answered on request."""

from services.cosmic.service import CosmicFactorService

__all__ = ["CosmicFactorService"]
