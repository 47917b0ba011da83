"""`python -m openstrawberry` is `strawberry`."""

from openstrawberry.cli.app import main

main()
