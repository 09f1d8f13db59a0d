"""Statistical physics of networks and of the data they see."""
