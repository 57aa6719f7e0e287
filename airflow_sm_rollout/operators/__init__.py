"""One operator per verb of a rollout."""
