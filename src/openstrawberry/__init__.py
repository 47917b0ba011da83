"""strawberry: grow, check and learn from the step-by-step reasoning of language models.

Importing this package is cheap on purpose: provider SDKs, onnxruntime and torch are imported where they are used.
"""

__version__ = "0.1.0"
