"""Stanford Cars: 196 models of cars, with one box per image."""
