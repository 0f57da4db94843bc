"""The newest numbers in one small file, for a status line, a phone or a lab's wall display that reads it over the network."""

import json

import ganlab


class Latest:
    """Written anew each time: what happened before is in metrics.jsonl."""

    @ganlab.hookimpl
    def on_metrics(self, run, step, metrics):
        (run.path / "latest.json").write_text(json.dumps({"step": step, **metrics}))
