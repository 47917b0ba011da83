"""Everything that turns a `Request` into a `Reply`: the protocol, the providers, and the wrappers around them."""
