"""Offers between two gateways: made, signed, sent, received, checked, accepted or declined."""
