"""Tasks: model + data + loss + metrics, that is, what is trained."""
