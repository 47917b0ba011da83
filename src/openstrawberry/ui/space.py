"""The page as a public place, such as a Hugging Face Space: copy this file there as `app.py`, with a requirements.txt
that says `openstrawberry[ui]`.

Every visitor has a folder of their own that nobody else reads. Berry is there by default; any other model is asked with
a key that the visitor types, and that lives as long as the visit. The keys of the place itself are never used.
"""

from openstrawberry.ui.frame import Place, own_folder, show

show(Place(own_folder(), public=True))
