"""What a person sees of one rollout at a glance, on the Rollout tab, in a terminal, and in a saved report. Pure: no markup, no colours."""
