"""What the functions of the API share: what was asked for made ready, and how it is carried out."""
