"""What a user does on the page, for the tests: sends forms, and follows to the results."""

import html
import re


def upload(client, content, name="data.csv", **fields):
    """Sends a file; returns the page that follows."""
    return client.post("/tables", files={"table": (name, content)}, data=fields)


def problem(answer) -> str:
    """The text of the error on a page."""
    found = re.search(r'role="alert"><strong>[^<]*</strong> (.*?)</div>', answer.text, re.DOTALL)
    return html.unescape(found[1]) if found else ""


def form_of(answer) -> dict[str, list[str]]:
    """The fields of the form on the page of a table, as a browser would send them."""
    fields: dict[str, list[str]] = {}
    for name, value in re.findall(
        r'<input type="(?:checkbox|radio)" name="(\w+)" value="(\w+)" checked', answer.text
    ):
        fields.setdefault(name, []).append(value)
    for name, value in re.findall(
        r'<input id="\w+" name="(\w+)" type="text"[^>]*? value="([^"]*)"', answer.text
    ):
        fields[name] = [html.unescape(value)]
    for name, options in re.findall(r'<select [^>]*name="(\w+)">(.*?)</select>', answer.text, re.S):
        chosen = re.search(r'value="([^"]*)" selected', options)
        fields[name] = [chosen[1] if chosen else ""]
    return fields


def ask(client, answer, action, **changes):
    """Sends the form of a page with some changed fields, and waits for the result."""
    path = re.search(r'<form method="post" action="(/tables/[^"/]+)">', answer.text)[1]
    fields = form_of(answer) | changes | {"action": action}
    answer = client.post(path, data=fields)
    while 'http-equiv="refresh"' in answer.text:
        answer = client.get(str(answer.url))
    return answer


def links(answer, ending: str) -> list[str]:
    """The addresses on a page that end so."""
    return re.findall(rf'(?:href|src)="([^"]*{re.escape(ending)})"', answer.text)
