"""What runs inside the sandbox, beside code that a model wrote. Standard library only: it is copied in and runs alone.

Two processes check a function. The *judge* has the tests; the *solution* has the model's code and never sees them: it
is sent calls and sends back what they give, as plain data. So nothing that the code does to its own process (an early
exit, a patched `assert`, an `__eq__` that is always true, a look for the tests) reaches the place where it is judged.
"""
