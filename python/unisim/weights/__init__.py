"""Weights out of published packages: fetched, read without trust, named as the Hugging Face and LPIPS folders are.

Nothing here imports torch or the extension, so that `unisim get` starts at once and works before anything is built.
"""
