"""The practice model: a scripted Messages API server that drives the real Claude CLI.

It lets the whole flow be tried offline, and it is what the tests run against. Its answer is a
pure function of the request (history, tools, model, system prompt): no server state decides it,
so it survives kills, resumed and cleared sessions. The only state are faults that a test asked
for. Everything it says begins with "[practice] ".
"""
