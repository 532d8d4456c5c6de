"""The practice model: a scripted Messages API server that drives the real Claude CLI.

It lets the whole flow be tried offline. It builds one story, a to-do book, and of any other spec a
notebook with its words. Its answer is a pure function of the request (history, tools, system
prompt): it knows nothing from one request to the next, so it survives kills, resumed and cleared
sessions. Everything it says begins with "[practice] ".
"""
