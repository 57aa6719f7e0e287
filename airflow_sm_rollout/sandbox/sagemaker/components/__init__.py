"""Inference components: models that share the instances of one endpoint, each with copies of its own."""
