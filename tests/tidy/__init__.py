"""The house rules as tests. Each rule has an example that breaks it.

Rule 1. A rule reads files; it never imports or runs what it judges.
Rule 2. A finding names file and line, and the rule says what it wants instead.

Not here: layout and style of the text (ruff), types (mypy), who may import whom
(import-linter; that its contracts bite is shown in test_layers).
"""
