"""The judge: a model one tier up that reads sampled answers. Its words count only while its own health is good."""
