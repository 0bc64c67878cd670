"""Which Claude models there are, what each takes, and what people call them."""
