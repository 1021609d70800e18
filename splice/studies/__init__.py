"""What can be found out: by `inversion` of features, a `report` on outputs, a `benchmark` of steps.

In come pictures, finished outputs, answers of people, and settings. Out go pictures painted back from
features, pages that compare outputs, and the milliseconds of a step, part by part.
"""

MODULES = ("benchmark", "inversion", "report")
"""Sub-packages that other rooms may use, by what each lists itself."""
