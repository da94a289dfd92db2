"""No value can break out of its place in a template, wherever the template puts it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from airflow_k8s_vault import templates
from airflow_k8s_vault.errors import TemplateError
from tests.templates.conftest import Write

# Every way in which a template can place a value: alone, quoted, within text, in blocks of text, in flow
# collections, as a key, through macros, captured blocks, loops and filters.
PLACES = """\
{% macro variable(name, value) %}
        - name: {{ name }}
          value: {{ value }}
{% endmacro %}
{% set captured %}
        - name: CAPTURED
          value: "{{ value }}"
{% endset %}
apiVersion: v1
kind: Pod
metadata:
  annotations:
    plain: {{ value }}
    quoted: "{{ value }}"
    single: '{{ value }}'
    within: before-{{ value }}-after
    twice: {{ value }}{{ value }}
    literal: |
      first {{ value }}
      last
    folded: >-
      {{ value }}
    json: {{ {"a": value} | tojson }}
    flow: {{ value }}  # {{ value }}
spec:
  containers:
    - name: base
      image: {{ images.etl }}
      command: [{{ value }}, "{{ value }}", 'x{{ value }}x']
      args:
        - {{ value }}
        {% for item in [value, value] %}
        - {{ item }}
        {% endfor %}
      env:
        - {name: FLOW, value: {{ value }}}
        - {"name": "QUOTED", "value": "{{ value }}"}
{{ variable("MACRO", value) }}
{% call(inner) wrapped() %}
        - name: {{ inner }}
          value: {{ value }}
{% endcall %}
{{ captured }}
{% filter indent(0) %}
        - name: FILTERED
          value: {{ value }}
{% endfilter %}
"""
WRAPPED = "{% macro wrapped() %}\n{{ caller('CALLED') }}\n{% endmacro %}\n"
HOSTILE = [
    "x\n  hostNetwork: true",
    'x"\n    hostNetwork: true\n    y: "',
    "x'\n    hostNetwork: true\n    y: '",
    "x, privileged: true}",
    '"], "image": "evil',
    "x # comment",
    "- a\n- b",
    "key: value",
    "!!python/object/apply:os.system [id]",
    "&anchor x",
    "*anchor",
    "<<: *base",
    "---\nkind: Secret",
    "...",
    "|\n  x",
    "%TAG ! tag:x",
    "{{ 7 * 7 }}",
    "{% include '/etc/passwd' %}",
    "{# x #}",
    "\ue0000\ue001",
    "\ue0001\ue001",
    "\ue000",
    "\x00\x07\x1b",
    "\u2028\u2029\x85\ufeff",
    "true",
    "null",
    "~",
    "0644",
    "1e3",
    "",
    " ",
    "\t",
    "x" * 10_000,
    "=",
    "yes",
]


@pytest.fixture
def template(write: Write) -> templates.PodTemplate:
    write("payments/etl.vars.yaml", "value: {type: string}\n")
    folder = write("payments/etl.yaml.j2", WRAPPED + PLACES)
    return templates.find("payments/etl", folder)


VARIABLES = ("FLOW", "QUOTED", "MACRO", "CALLED", "CAPTURED", "FILTERED")


def hostile(test: Any) -> Any:
    for value in HOSTILE:
        test = example(value)(test)
    return test


@hostile
@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.text())
def test_text_stays_the_text_it_is_wherever_it_is_put(template: templates.PodTemplate, value: str) -> None:
    pod = template.render({"value": value})

    base = pod["spec"]["containers"][0]
    assert {
        "plain": value,
        "quoted": value,
        "single": value,
        "within": f"before-{value}-after",
        "twice": value + value,
        "literal": f"first {value}\nlast\n",
        "folded": value,
        "flow": value,
        "json": pod["metadata"]["annotations"]["json"],
    } == pod["metadata"]["annotations"]
    assert {"a": value} == json.loads(pod["metadata"]["annotations"]["json"])
    assert [value, value, f"x{value}x"] == base["command"]
    assert [value] * 3 == base["args"]
    assert [{"name": name, "value": value} for name in VARIABLES] == base["env"]
    assert {"name", "image", "command", "args", "env"} == set(base)


@pytest.mark.parametrize("value", [True, 5, 0.5, ["a", 1], {"a": {"b": None}}])
def test_a_value_that_stands_alone_keeps_its_type(write: Write, value: Any) -> None:
    write("payments/etl.vars.yaml", "value: {type: object, required: false}\n")
    folder = write("payments/etl.yaml.j2", pod="      resources: {claims: [{name: {{ kept }}}]}\n")
    template = templates.find("payments/etl", folder)
    environment = template.folder.environment

    fragment: Any = environment.from_string("kept: {{ kept }}").render(kept=value)

    assert value == fragment.fill(fragment.text().removeprefix("kept: "), True)


def test_numbers_and_booleans_are_written_out_within_text(write: Write) -> None:
    write("payments/etl.vars.yaml", "on: {type: boolean}\nsize: {type: number}\n")
    folder = write(
        "payments/etl.yaml.j2", pod='      args: ["{{ on }}", "n{{ size }}", {{ "%s" | format(size) }}]\n'
    )

    pod = templates.find("payments/etl", folder).render({"on": True, "size": 5})

    assert ["true", "n5", "5"] == pod["spec"]["containers"][0]["args"]


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ('"{{ images }}"', "within other text or quotes gave a mapping; let it stand alone, unquoted."),
        ("x{{ [1] }}", "within other text or quotes gave a list; let it stand alone, unquoted."),
        ("x{{ none }}", "within other text or quotes gave null; let it stand alone, unquoted."),
        ("{{ range }}", "gave a function or macro"),
        ("{{ images.items }}", "gave a function or macro"),
        ("{{ [1] | map('string') }}", "gave an object of type generator"),
        ("{{ memory }}", "'memory' is undefined"),
        ("{{ images.elt }}", "there is no 'elt'"),
        ("{{ [memory] }}", "'memory' is undefined"),
        ("{{ ''.__class__.__mro__ }}", "is unsafe"),
        ("{{ images.pop('etl') }}", "is unsafe"),
        ("{{ images.__init__.__globals__ }}", "is unsafe"),
        ("{{ range(10000000) | list }}", "too big"),
        ("{{ lipsum() }}", "'lipsum' is undefined"),
        ("{{ 1 / 0 }}", "division by zero"),
        ("{{ }}", "Expected an expression"),
        ("{% if %}", "Expected an expression"),
        ("{{ 'a' | nothing }}", "No filter named 'nothing'"),
    ],
)
def test_an_expression_that_gives_no_value_is_an_error_with_file_and_line(
    write: Write, line: str, reason: str
) -> None:
    folder = write("payments/etl.yaml.j2", pod=f"      args:\n        - fine\n        - {line}\n")

    with pytest.raises(TemplateError) as refused:
        templates.find("payments/etl", folder).render({})

    assert reason in str(refused.value)
    assert "pod_templates/payments/etl.yaml.j2, line 9" in str(refused.value)


@pytest.mark.parametrize(
    "use",
    [
        "{{ part | upper }}",
        "{{ part ~ 'x' }}",
        "{{ part + 'x' }}",
        "{{ part | replace('a', 'b') }}",
        "{{ part | trim }}",
        "{{ [part] }}",
        "{{ part == 'x' }}",
        "{% if part %}x{% endif %}",
        "{{ part | length }}",
        "{{ part[0] }}",
        "{{ part | tojson }}",
        "{% for c in part %}x{% endfor %}",
        "{% filter upper %}x{% endfilter %}",
        "{% autoescape true %}{% set other %}x{% endset %}{{ other }}{% endautoescape %}",
    ],
)
def test_the_output_of_a_block_is_placed_or_indented_and_nothing_else(write: Write, use: str) -> None:
    source = "{% set part %}text{% endset %}" + use

    folder = write("payments/etl.yaml.j2", pod=f"      workingDir: {source}\n")

    with pytest.raises(TemplateError):
        templates.find("payments/etl", folder).render({})


def test_the_output_of_a_macro_can_be_indented(write: Write) -> None:
    macro = "{% macro env(value) %}\n- name: A\n  value: {{ value }}\n{% endmacro %}\n"
    folder = write("payments/etl.yaml.j2", pod="")
    source = (
        macro + (folder / "payments/etl.yaml.j2").read_text() + "      env:\n{{ env('x\ny') | indent(8, true) }}\n"
    )
    write("payments/etl.yaml.j2", source)

    pod = templates.find("payments/etl", folder).render({})

    assert [{"name": "A", "value": "x\ny"}] == pod["spec"]["containers"][0]["env"]


def test_a_template_that_holds_a_stand_in_itself_is_refused(write: Write) -> None:
    folder = write("payments/etl.yaml.j2", pod="      workingDir: \ue0000\ue001\n")

    with pytest.raises(TemplateError, match=r"etl\.yaml\.j2, line 7: holds a private-use character"):
        templates.find("payments/etl", folder).render({})


def test_an_escaped_stand_in_is_refused_or_text(write: Write) -> None:
    folder = write("payments/etl.yaml.j2", pod='      workingDir: "\\ue0009\\ue001"\n')

    with pytest.raises(TemplateError, match="stands for values"):
        templates.find("payments/etl", folder).render({})


def test_files_are_read_again_when_they_change(write: Write) -> None:
    folder: Path = write("payments/etl.yaml.j2", pod="      workingDir: /one\n")
    first = templates.find("payments/etl", folder).render({})
    write("payments/etl.yaml.j2", pod="      workingDir: /second\n")
    second = templates.find("payments/etl", folder).render({})

    assert ["/one", "/second"] == [pod["spec"]["containers"][0]["workingDir"] for pod in (first, second)]


def test_a_key_that_is_empty_is_not_set(write: Write) -> None:
    empty = "  volumes:\n  initContainers: null\n  securityContext:\n"
    folder = write("payments/x.yaml.j2", pod=empty)

    assert {"containers", "serviceAccountName"} == set(templates.find("payments/x", folder).render({})["spec"])
