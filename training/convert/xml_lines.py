"""XML elements that know the line they began in, which those of the standard library do not."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from xml.parsers import expat


@dataclass
class Node:
    """One element.

    Attributes:
        name: its tag.
        line: where it begins, from 1.
        text: its own text without blanks around it.
        children: in their order.
    """

    name: str
    line: int
    text: str = ''
    children: list[Node] = field(default_factory=list)

    def all(self, name: str) -> list[Node]:
        """Its children of that name."""
        return [child for child in self.children if child.name == name]


def parse_xml(path: Path) -> Node:
    """The root element of a file.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: it is no XML, or declares entities; the text names file and line.
    """
    if not path.is_file():
        raise FileNotFoundError(f'{path} does not exist: expected an XML file')
    parser = expat.ParserCreate()
    top = Node('', 0)
    open_nodes = [top]

    def start(name: str, _attributes: object) -> None:
        node = Node(name, parser.CurrentLineNumber)
        open_nodes[-1].children.append(node)
        open_nodes.append(node)

    def end(_name: str) -> None:
        node = open_nodes.pop()
        node.text = node.text.strip()

    def characters(text: str) -> None:
        open_nodes[-1].text += text

    def entity(*_arguments: object) -> None:
        # A few lines of them can stand for gigabytes of text.
        raise ValueError(
            f'{path}, line {parser.CurrentLineNumber}: expected no entity declarations'
        )

    parser.StartElementHandler = start
    parser.EndElementHandler = end
    parser.CharacterDataHandler = characters
    parser.EntityDeclHandler = entity
    try:
        parser.Parse(path.read_bytes(), True)
    except expat.ExpatError as error:
        reason = expat.errors.messages[error.code]
        raise ValueError(f'{path}, line {error.lineno}: expected XML, {reason}') from error
    return top.children[0]
