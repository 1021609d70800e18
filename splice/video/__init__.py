"""Videos and folders of frames, painted by one generator so that nothing flickers.

In come the frames of a video and pictures with a look. Out comes a video, or a folder of frames, with
the audio as it was. What corresponds is found on a few key frames and carried on along what moves.
"""

MODULES = ("flicker", "flow", "frames", "outcome", "run", "writing")
"""Modules that other rooms may use."""
