"""The reference pipeline: handwritten digits, prepared, learned and scored by the stages of dvc.yaml."""
