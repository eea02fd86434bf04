"""The least-tier model as it serves: how likely each tier is to answer a text right. Trained by `training.tiers`."""
