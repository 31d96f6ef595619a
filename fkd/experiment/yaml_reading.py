"""YAML as people write settings: of a bounded size, every key given once."""

from typing import Any

import yaml

from fkd.core.errors import UserError, one_line

# Fifty times the longest file in experiments/; PyYAML takes two seconds for it.
MOST_BYTES = 2**18
# Of what the text says when every alias is written out.
_MOST_VALUES = 50_000
_MOST_LEVELS = 50


def read_yaml(content: str | bytes, origin: str) -> Any:
    """The value of a YAML text, made of plain values only.

    Raises UserError, naming `origin` and the line, for what is not YAML, is too large or nested too deeply,
    gives a key twice, or has a tag that asks for an object.
    """
    if len(content) > MOST_BYTES:
        raise UserError(f"{origin}: expected at most {MOST_BYTES:,} bytes of YAML, received more; shorten it")
    try:
        text = content.decode() if isinstance(content, bytes) else content
        return yaml.load(text, _BoundedLoader)  # it is a SafeLoader
    except UnicodeDecodeError as error:
        raise UserError(f"{origin}: expected YAML in UTF-8, received other bytes; save it so") from error
    except yaml.MarkedYAMLError as error:
        line = f"line {error.problem_mark.line + 1}: " if error.problem_mark else ""
        problem = " ".join(filter(None, (error.context, error.problem)))
        raise UserError(f"{origin}: expected YAML; {line}{problem}; correct it") from error
    except yaml.YAMLError as error:
        raise UserError(f"{origin}: expected YAML; {one_line(error)}; correct it") from error


class _BoundedLoader(yaml.SafeLoader):
    """PyYAML's safe loader, with limits that hold before anything is made of a text."""

    def __init__(self, text: str) -> None:
        super().__init__(text)
        self._level = 0
        self._sizes: dict[yaml.Node, tuple[int, int]] = {}  # values and levels of a node, aliases written out

    def compose_node(self, parent: yaml.Node | None, index: Any) -> yaml.Node | None:
        """Called by PyYAML for every node of the text and every alias."""
        mark, is_alias = self.peek_event().start_mark, self.check_event(yaml.AliasEvent)
        self._level += 1
        if self._level > _MOST_LEVELS:
            raise _problem(f"nested more than {_MOST_LEVELS} deep", mark)
        node = super().compose_node(parent, index)
        self._level -= 1
        if node is not None and not is_alias:
            self._sizes[node] = self._size(node)
        return node

    def _size(self, node: yaml.Node) -> tuple[int, int]:
        if isinstance(node, yaml.ScalarNode):
            return 1, 1
        below = node.value
        if isinstance(node, yaml.MappingNode):
            _refuse_repeated_key(node)
            below = [one for pair in node.value for one in pair]
        if any(one not in self._sizes for one in below):
            raise _problem("an alias stands within what it stands for", node.start_mark)
        sizes = [self._sizes[one] for one in below]
        values, levels = 1 + sum(size[0] for size in sizes), 1 + max((size[1] for size in sizes), default=0)
        if values > _MOST_VALUES or levels > _MOST_LEVELS:
            limits = f"{_MOST_VALUES:,} values and {_MOST_LEVELS} levels"
            raise _problem(f"more than {limits} when its aliases are written out", node.start_mark)
        return values, levels

    def construct_object(self, node: yaml.Node, deep: bool = False) -> Any:
        """Called by PyYAML for every value; one that cannot be, such as a 13th month, is named."""
        try:
            value = super().construct_object(node, deep)
            if isinstance(value, int):
                str(value)  # a ValueError where no message could show it: 0x and thousands of digits
            return value
        except (ValueError, LookupError, AttributeError) as error:
            kind = node.tag.rpartition(":")[2]
            raise _problem(f"{node.value!r:.80} cannot be read as {kind}", node.start_mark) from error


def _refuse_repeated_key(mapping: yaml.MappingNode) -> None:
    first_marks: dict[tuple[str, str], Any] = {}
    for key, _ in mapping.value:
        if not isinstance(key, yaml.ScalarNode):
            continue
        first = first_marks.setdefault((key.tag, key.value), key.start_mark)
        if first is not key.start_mark:
            raise _problem(f"{key.value} is given a second time, after line {first.line + 1}", key.start_mark)


def _problem(text: str, mark: Any) -> yaml.MarkedYAMLError:
    return yaml.MarkedYAMLError(problem=text, problem_mark=mark)
