"""A channel made of Hyperledger Fabric's own programs: what is written for them, and asked of them.

``real_network.RealNetwork`` puts it together.
"""
