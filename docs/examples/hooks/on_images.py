"""Every sheet four times as large, without smoothing: small digits for a projector or a slide."""

import ganlab
from ganlab.pictures import save_png


class ForSlides:
    """Beside the sheets, in a folder of their own."""

    @ganlab.hookimpl
    def on_images(self, run, picture, path):
        folder = run.path / "slides"
        folder.mkdir(exist_ok=True)
        save_png(picture.repeat(4, axis=0).repeat(4, axis=1), folder / path.name)
