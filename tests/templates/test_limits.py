"""A template that computes without end, or makes too much, ends soon and in a sentence."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import cache

import pytest

from airflow_k8s_vault import templates
from airflow_k8s_vault.errors import TemplateError, did_you_mean
from airflow_k8s_vault.templates import limits, lint_templates
from tests import growth
from tests.templates.conftest import POD, Write

# In the place of a value.
EXPRESSIONS = {
    "text times": "'a' * 3000000000",
    "times text": "3000000000 * 'a'",
    "list times": "[0] * 3000000000",
    "power": "10 ** 1000000000",
    "negative power": "10 ** -1000000000000",
    "product": "(2 ** 9000) * (2 ** 9000) * (2 ** 9000)",
    "center": "'a' | center(1000000000)",
    "center method": "'a'.center(1000000000)",
    "ljust": "'a'.ljust(1000000000)",
    "zfill": "'1'.zfill(1000000000)",
    "expandtabs": "'\\t'.expandtabs(1000000000)",
    "many tabs": "('\\t' * 100000).expandtabs(10000)",
    "indent": "'a' | indent(1000000000)",
    "many lines": "('\\n' * 100000) | indent(9000)",
    "indent by text": "('\\n' * 100000) | indent('a' * 100000)",
    "printf": "'%1000000000d' % 1",
    "printf by name": "'%(a)1000000000d' % {'a': 1}",
    "computed width": "'%*d' % (1000000000, 1)",
    "precision": "'%.1000000000f' % 1.0",
    "format": "'{:>1000000000}'.format(1)",
    "nested format": "'{:>{w}}'.format(1, w=1000000000)",
    "format filter": "'%1000000000d' | format(1)",
    "format map": "'{a:1000000000}'.format_map({'a': 1})",
    "one argument often": "('{0}' * 30000).format('a' * 100000)",
    "one name often": "('%(a)s' * 30000) % {'a': 'a' * 100000}",
    "replace": "('a' * 100000) | replace('a', 'b' * 100000)",
    "replace method": "('a' * 100000).replace('a', 'b' * 100000)",
    "replace nothing": "('a' * 100000) | replace('', 'b' * 100000)",
    "join": "range(99999) | map('string') | join('a' * 100000)",
    "join method": "('a' * 100000).join(['a'] * 40000)",
    "batch": "[1] | batch(1000000000, 0) | list",
    "slice": "[1] | slice(1000000000) | list",
    "sum of lists": "([[1]] * 40000) | sum(start=[])",
    "round": "1.5 | round(1000000000, 'ceil')",
    "tojson": "[[[[1]]]] | tojson(1000000000)",
    "bytes": "(1).to_bytes(1000000000, 'big')",
    "translate": "'aaa'.translate({97: 'b' * 100000})",
    "encode": "'aaa'.encode()",
    "range": "range(1000000000) | list",
    "many centers": "range(99999) | map('center', 9999) | list",
    "list in list": "[range(9999) | list] * 9999",
    "a long number divided": "((('f' * 9000) * 90) | int(0, 16)) // ((('f' * 9000) * 45) | int(0, 16))",
    "a long number": "('f' * 9000) | int(0, 16)",
    "a sum of long numbers": "[2 ** 2047, 2 ** 2047] | sum",
    "a name in parentheses": "'%((a))1000000000d' % {'(a)': 1}",
    "a name with a percent sign": "'%(a%b)1000000000d' % {'a%b': 1}",
    "printf after a percent sign": "'%l%%1000000000d' % 1",
    "digits of another script": "'{:٩٩٩٩٩٩٩٩٩}'.format(1)",
    "many widths": "('{0:😀>9999}' * 23000).format(1)",
    "many widths by name": "('%(a)9999d' * 25000) % {'a': 1}",
    "a long path of attributes": "(['a'] * 9000) | map(attribute=('0.' * 9000) * 50 ~ '0') | list",
    "a long path to sort by": "(['a'] * 9000) | sort(attribute=('0.' * 9000) * 50 ~ '0')",
    "each in a list": "(range(40000) | list) | select('in', [1.5] * 40000) | list",
    "some of a list": "(['a'] * 40000) | selectattr('0', 'in', range(40000) | list) | list",
}
_GROW = "{%% set ns = namespace(x=%s) %%}{%% for i in range(60) %%}{%% set ns.x = %s %%}{%% endfor %%}"
# Before the pod.
STATEMENTS = {
    "a loop": "{% for i in range(1000000000) %}{% endfor %}",
    "two loops": "{% for i in range(99999) %}{% for j in range(99999) %}{% endfor %}{% endfor %}",
    "a loop over a macro": "{% macro m() %}{% endmacro %}"
    "{% for i in range(99999) %}{% for j in range(9999) %}{{ m() }}{% endfor %}{% endfor %}",
    "a loop of text": "{% for i in range(99999) %}# xxxxxxxxxxxxxxxxxxxxxxxxxxxxx\n{% endfor %}",
    "a macro that calls itself": "{% macro f(n) %}{{ f(n) }}{% endmacro %}{{ f(1) }}",
    "a macro that calls itself twice": "{% macro f(n) %}"
    "{% if n %}{{ f(n - 1) }}{{ f(n - 1) }}{% endif %}{% endmacro %}{{ f(60) }}",
    "text doubled": _GROW % ("'ab'", "ns.x ~ ns.x"),
    "text added": _GROW % ("'ab'", "ns.x + ns.x"),
    "list doubled": _GROW % ("[1]", "ns.x + ns.x"),
    "a list of itself": _GROW % ("[1]", "[ns.x, ns.x]"),
    "a tuple of itself": _GROW % ("[1]", "(ns.x, ns.x)"),
    "a mapping of itself": _GROW % ("[1]", "{'a': ns.x, 'b': ns.x}"),
    "dict of itself": _GROW % ("[1]", "dict(a=ns.x, b=ns.x)"),
    "namespaces in namespaces": "{% set ns0 = namespace(x=1) %}"
    + "".join(f"{{% set ns{n + 1} = namespace(a=ns{n}, b=ns{n}) %}}" for n in range(60))
    + "{{ [ns60 ~ '']}}",
    "views of views": _GROW % ("{'a': 1}", "{'a': ns.x.items(), 'b': ns.x.items()}"),
    "filters in a row": "{% set ns = namespace(x=range(99999)) %}{% for i in range(200) %}"
    "{% set ns.x = ns.x | unique %}{% endfor %}{{ ns.x | list }}",
    "captured twice": "{% set a0 %}# x\n{% endset %}"
    + "".join(f"{{% set a{n + 1} %}}{{{{ a{n} }}}}{{{{ a{n} }}}}{{% endset %}}" for n in range(60))
    + "{{ a60 }}",
    "itself included": '{% include "payments/x.yaml.j2" %}',
    "itself extended": '{% extends "payments/x.yaml.j2" %}',
    "brackets": "{{ " + "(" * 5000 + "1" + ")" * 5000 + " }}",
    "conditions in conditions": "{% if a %}" * 900 + "{% endif %}" * 900,
    "very many expressions": "{{ 1 }}" * 9000,
    "a very long comment": "{#" + "a" * 100_000 + "#}",
    "a very long file": "# a\n" * 100_000,
    "very many keys": "".join(f"key{n}: 1\n" for n in range(4000)),
    "a very long number": f"a: {'9' * 5000}\n",
    "base 60": "a: 1" + ":59" * 15_000 + "\n",
    "very deep": "[" * 30_000,
}


@cache
def moment() -> float:
    """Return the CPU seconds in which this machine counts to ten million: a fifth of a second on most."""
    # Imported on first use by the check of what a template gives.
    import kubernetes.client

    assert kubernetes.client
    start = time.thread_time()
    for _ in range(10_000_000):
        pass
    return time.thread_time() - start


@contextmanager
def soon() -> Iterator[None]:
    """Fail unless what is within ends about as soon as a rendering has to."""
    allowed = 2 * limits.SECONDS + 3 * moment()
    start = time.thread_time()
    yield

    assert time.thread_time() - start < allowed


def render(write: Write, source: str) -> None:
    folder = write("payments/x.yaml.j2", source)
    templates.find("payments/x", folder).render({})


@pytest.mark.parametrize("what", EXPRESSIONS)
def test_an_expression_that_would_make_too_much_is_an_error(what: str, write: Write) -> None:
    with soon(), pytest.raises(TemplateError) as refused:
        render(write, POD + f"      args:\n        - {{{{ {EXPRESSIONS[what]} }}}}\n")

    assert "pod_templates/payments/x.yaml.j2, line 8: " in str(refused.value)


@pytest.mark.parametrize("what", STATEMENTS)
def test_a_template_that_would_compute_too_long_is_an_error(what: str, write: Write) -> None:
    with soon(), pytest.raises(TemplateError) as refused:
        render(write, STATEMENTS[what] + POD)

    assert "payments/x.yaml.j2" in str(refused.value)
    assert len(str(refused.value)) < 20_000


def test_what_templates_do_is_within_the_limits(write: Write) -> None:
    folder = write(
        "payments/x.yaml.j2",
        pod="""\
      args:
        {% for name in ("a,b,c" | replace(",", ";")).split(";") %}
        - {{ "%s-%03d" % (name, loop.index) }}
        - {{ "{:>5}".format(name) | trim ~ loop.length }}
        {% endfor %}
        - {{ ["a", "b"] | join("-") }}
        - {{ {"a": [1, 2]} | tojson }}
        - {{ range(3) | map("string") | list | last }}
        - {{ {"a": 1}.items() | list | first | first }}
        - {{ "x".upper().center(3) | trim }}
""",
    )

    args = templates.find("payments/x", folder).render({})["spec"]["containers"][0]["args"]

    assert ["a-001", "a3", "b-002", "b3", "c-003", "c3", "a-b", '{"a": [1, 2]}', "2", "a", "X"] == args


def test_a_chain_of_very_many_files_is_an_error(write: Write) -> None:
    for number in range(40):
        write(f"part{number}.yaml.j2", f'{{% include "part{number + 1}.yaml.j2" %}}')
    folder = write("payments/x.yaml.j2", '{% include "part0.yaml.j2" %}' + POD)
    write("part40.yaml.j2", "")

    with pytest.raises(TemplateError, match="made of more than 32 files"):
        templates.find("payments/x", folder).check_vars({})


def test_variables_of_any_length_are_no_way_around_the_limits(write: Write) -> None:
    folder = write("payments/x.yaml.j2", pod="      args: {{ a }}\n")
    write("payments/x.vars.yaml", "a: {type: array}\n")
    laughs: list[object] = ["ha"]
    for _ in range(60):
        laughs = [laughs, laughs]

    with pytest.raises(TemplateError, match="too long"):
        templates.find("payments/x", folder).render({"a": laughs})
    with pytest.raises(TemplateError, match="too long"):
        templates.find("payments/x", folder).check_vars({"a": laughs})
    with pytest.raises(TemplateError, match="too long"):
        templates.find("payments/x", folder).check_vars({"a": [10**5000]})


@pytest.mark.parametrize(
    ("pattern", "value"), [("^(a+)+$", "a" * 40 + "b"), ("^(a|a)*$", "a" * 40 + "b"), ("^(.*a){12}$", "a" * 9000)]
)
def test_a_pattern_of_any_kind_is_looked_for_in_a_moment(pattern: str, value: str, write: Write) -> None:
    folder = write("payments/x.yaml.j2", pod="      args: [{{ a }}]\n")
    write("payments/x.vars.yaml", f"a: {{type: string, pattern: '{pattern}', default: a}}\n")

    with soon(), suppress(TemplateError):
        templates.find("payments/x", folder).check_vars({"a": value})


def test_a_pattern_that_takes_more_than_linear_time_is_refused_with_its_line(write: Write) -> None:
    write("payments/x.yaml.j2", pod="      args: [{{ a }}]\n")
    folder = write("payments/x.vars.yaml", "a:\n  type: string\n  pattern: '(?=a)b'\n")

    with pytest.raises(
        TemplateError, match=r"x.vars.yaml has mistakes:\n  - line 3: a has pattern .* RE2 does not"
    ):
        templates.find("payments/x", folder).check_vars({"a": "b"})


def _many(entry: str, count: int) -> str:
    return ", ".join(entry % number for number in range(count))


# Without end, from elsewhere, or by Python's own way to look for patterns.
DECLARATIONS = {
    "a reference to a page": "a: {type: array, items: {$ref: 'http://127.0.0.1:1/x'}, default: [x]}",
    "a reference to a file": "a: {type: array, items: {$ref: 'file:///etc/hostname'}, default: [x]}",
    "a reference to itself": "a: {type: array, items: {items: {$ref: '#'}}, default: [[[x]]]}",
    "references that double": "a: {type: array, items: {allOf: [{$ref: '#/items/$defs/a60'}], $defs: {a0: {}, "
    + ", ".join(
        f"a{n + 1}: {{allOf: [{{$ref: '#/items/$defs/a{n}'}}, {{$ref: '#/items/$defs/a{n}'}}]}}" for n in range(60)
    )
    + "}}, default: [x]}",
    "a pattern of keys": "a: {type: object, properties: {b: {patternProperties: {'^(a+)+$': {}}}}, "
    f"default: {{b: {{{'a' * 40}b: 1}}}}}}",
    "a very long pattern": f"a: {{type: string, pattern: '^{'a?' * 100_000}$', default: a}}",
    "very many variables": "".join(f"a{n}: {{type: string, default: x}}\n" for n in range(5000)),
    "very many values": f"a: {{type: integer, enum: [{_many('v%s', 20_000)}]}}",
    "very many mappings": f"a: {{type: object, enum: [{_many('{v: %s}', 9000)}]}}",
    "very many keywords": f"a: {{type: string, {_many('patter%s: 1', 900)}}}",
    "very many declarations of no type": _many("a%s: {typ: string}", 900).replace(", ", "\n"),
}


@pytest.mark.parametrize("what", DECLARATIONS)
def test_a_declaration_that_would_take_too_long_is_an_error(what: str, write: Write) -> None:
    write("payments/x.yaml.j2", POD)
    folder = write("payments/x.vars.yaml", DECLARATIONS[what])

    with soon(), pytest.raises(TemplateError) as refused:
        templates.find("payments/x", folder).check_vars({})
    assert "payments/x.vars.yaml has mistakes:\n  - line 1: " in str(refused.value)
    assert str(refused.value).count("\n") <= 50


def test_the_variables_of_all_files_of_a_template_are_counted(write: Write) -> None:
    for name in ("payments/x", "a", "b"):
        parts = '{% include "a.yaml.j2" %}{% include "b.yaml.j2" %}' + POD if name == "payments/x" else ""
        write(f"{name}.yaml.j2", parts)
        folder = write(
            f"{name}.vars.yaml", "".join(f"{name[-1]}{number}: {{type: string}}\n" for number in range(200))
        )

    with pytest.raises(TemplateError, match="declares more than 500 variables"):
        templates.find("payments/x", folder).check_vars({})


def test_names_that_nothing_declares_are_named_in_a_moment(write: Write) -> None:
    write("payments/x.vars.yaml", "".join(f"aaaa{n}: {{type: string}}\n" for n in range(500)))
    folder = write("payments/x.yaml.j2", "".join(f"{{{{ aaab{n} }}}}" for n in range(3500)) + POD)

    with soon():
        findings = list(lint_templates("payments", folder))
    assert 0 < len(findings) < 700


def test_long_names_are_not_compared_with_each_other() -> None:
    letters = "".join(map(chr, range(0x4E00, 0x4E65)))

    with soon():
        assert "" == did_you_mean(letters * 300, [letters[::-1] * 300, letters[50:] + letters * 299])


def test_entries_that_are_to_be_unique_are_compared_in_proportion_to_their_number(write: Write) -> None:
    def work(count: int) -> None:
        template.check_vars({"a": [{"n": number} for number in range(count)]})

    write("payments/x.yaml.j2", pod="      args: [{{ a | length }}]\n")
    folder = write("payments/x.vars.yaml", "a: {type: array, uniqueItems: true}\n")
    template = templates.find("payments/x", folder)

    assert growth.doubling(work, 4000) < growth.LINEAR
    for twice in ([1, 1.0], [{"a": 1}, {"a": 1}]):
        with pytest.raises(TemplateError, match="holds an entry twice"):
            template.check_vars({"a": twice})
    template.check_vars({"a": [1, True, "1", "true"]})
