"""Pascal VOC: coco128 there and back without loss, the usual files, and complaints."""

from __future__ import annotations

import json
from xml.etree import ElementTree

import numpy as np
import pytest
from converting import content_of, convert, records_of, text_file

from training.classes import COCO_CLASSES
from training.convert.voc import convert_voc
from training.convert.voc_writer import write_voc

OBJECT = (
    '  <object><name>dog</name><pose>Left</pose><difficult>{difficult}</difficult>',
    '    <bndbox><xmin>{xmin}</xmin><ymin>21</ymin><xmax>40</xmax><ymax>45.5</ymax></bndbox>',
    '    <part><name>head</name></part></object>',
)


def document(name='a.jpg', width='64', xmin='11', difficult='0', kind='dog') -> tuple[str, ...]:
    lines = [line.format(xmin=xmin, difficult=difficult) for line in OBJECT]
    return (
        '<annotation><folder>VOC</folder>',
        f'  <filename>{name}</filename>',
        f'  <size><width>{width}</width><height>48</height><depth>3</depth></size>',
        lines[0].replace('dog', kind),
        *lines[1:],
        '</annotation>',
    )


@pytest.mark.parametrize('part', ['train2017', 'val2017'])
def test_coco128_there_and_back_without_loss(shared_folder, tmp_path, part, capsys):
    source = shared_folder / 'data' / 'coco128' / 'annotations' / f'instances_{part}.json'
    output = tmp_path / 'back.json'
    assert convert('voc', '--to-xml', source, '--output', tmp_path / 'xml') == 0
    assert convert('voc', tmp_path / 'xml', '--output', output) == 0
    expected, found = content_of(source), content_of(output)
    # What describes the picture's origin is kept too; only the order is that of the names.
    assert len(found['images']) == 128
    for table in ('images', 'annotations'):
        assert sorted(found[table], key=lambda row: row['id']) == sorted(
            expected[table], key=lambda row: row['id']
        )
    used = {row['category_id'] for row in expected['annotations']}
    assert found['categories'] == [
        {'id': row['id'], 'name': row['name']}
        for row in expected['categories']
        if row['id'] in used
    ]
    boxes = sum(not row['iscrowd'] for row in expected['annotations'])
    printed = capsys.readouterr().out
    assert printed.count(f'128 images, {boxes} boxes, ') == 2
    records = records_of(output, COCO_CLASSES, outlines=True)
    assert sum(len(record.labels) for record in records) == boxes


def test_coco128_without_our_elements(shared_folder, tmp_path):
    """Boxes, classes and crowds are plain VOC: another program needs nothing of ours."""
    source = shared_folder / 'data' / 'coco128' / 'annotations' / 'instances_train2017.json'
    write_voc(source, tmp_path / 'xml')
    for path in (tmp_path / 'xml').iterdir():
        tree = ElementTree.parse(path)
        for parent in [tree.getroot(), *tree.getroot().iter('object')]:
            parent.remove(parent.find('coco'))
        tree.write(path)
    expected, found = content_of(source), convert_voc(tmp_path / 'xml').content()

    def rows(content):
        names = {row['id']: row['name'] for row in content['categories']}
        files = {row['id']: row['file_name'] for row in content['images']}
        return sorted(
            (files[row['image_id']], names[row['category_id']], row['bbox'], row['iscrowd'])
            for row in content['annotations']
        )

    assert rows(found) == rows(expected)


def test_pixels_from_one_and_difficult(tmp_path):
    folder = tmp_path / 'Annotations'
    text_file(folder / 'a.xml', *document())
    text_file(folder / 'b.xml', *document('b.jpg', difficult='1', kind='cat'))
    text_file(tmp_path / 'train.txt', 'b  1')
    output = tmp_path / 'voc.json'
    assert convert('voc', folder, '--output', output) == 0
    first, second = records_of(output, ('dog', 'cat'))
    assert (first.path.name, first.size) == ('a.jpg', (48, 64))
    np.testing.assert_allclose(first.labels.boxes, [[10, 20, 40, 45.5]])
    assert first.labels.classes.tolist() == [0]
    assert second.labels.ignore_classes.tolist() == [1]
    assert len(second.labels) == 0
    options = ('--list', tmp_path / 'train.txt', '--classes', 'dog', 'cat')
    assert convert('voc', folder, '--output', output, *options) == 0
    assert [row['name'] for row in content_of(output)['categories']] == ['dog', 'cat']
    assert len(content_of(output)['images']) == 1


def test_results_as_xml(tmp_path):
    annotations = {
        'images': [{'id': 3, 'file_name': 'A/img1/1.jpg', 'height': 48, 'width': 64}],
        'categories': [{'id': 1, 'name': 'person'}],
        'annotations': [],
    }
    result = {'image_id': 3, 'category_id': 1, 'bbox': [0.1, 0.2, 10, 20], 'score': 0.75}
    source = text_file(tmp_path / 'a.json', json.dumps(annotations))
    results = text_file(tmp_path / 'results.json', json.dumps([result]))
    arguments = ('voc', source, '--to-xml', '--results', results)
    assert convert(*arguments, '--output', tmp_path / 'xml') == 0
    root = ElementTree.parse(tmp_path / 'xml' / 'A' / 'img1' / '1.xml').getroot()
    assert root.findtext('object/score') == '0.75'
    corners = [root.findtext(f'object/bndbox/{name}') for name in ('xmin', 'ymin', 'xmax', 'ymax')]
    assert corners == ['1.1', '1.2', '10.1', '20.2']
    # An existing folder stays as it is.
    assert convert(*arguments, '--output', tmp_path / 'xml') == 2


@pytest.mark.parametrize(
    ('lines', 'line', 'complaint'),
    [
        (document(xmin='left'), 5, "expected a number, received 'left'"),
        (document(xmin='50'), 4, 'sizes from 0'),
        (document(width='0'), 3, 'expected a whole number from 1, received 0'),
        (document(difficult='yes'), 4, "difficult: expected 0 or 1, received 'yes'"),
        (document()[:4], 5, 'expected XML, no element found'),
        (('<annotation>', '</annotation>'), 1, 'expected one <filename>'),
        (('<html>', '</html>'), 1, 'expected <annotation>, received <html>'),
        (('<!DOCTYPE a [', '<!ENTITY b "c">', ']><a/>'), 2, 'no entity declarations'),
    ],
)
def test_malformed_xml_names_file_and_line(tmp_path, capsys, lines, line, complaint):
    path = text_file(tmp_path / 'xml' / 'a.xml', *lines)
    output = tmp_path / 'a.json'
    assert convert('voc', path.parent, '--output', output) == 2
    error = capsys.readouterr().err
    assert f'{path}, line {line}: ' in error
    assert complaint in error
    assert not output.exists()


def test_unknown_class_and_malformed_coco(tmp_path):
    folder = text_file(tmp_path / 'xml' / 'a.xml', *document()).parent
    with pytest.raises(ValueError, match=r"a.xml, line 4: name: .* received 'dog'"):
        convert_voc(folder, class_names=('cat',))
    content = {
        'images': [{'id': 1, 'file_name': '../a.jpg', 'height': 4, 'width': 4}],
        'categories': [{'id': 1, 'name': 'a'}],
        'annotations': [{'image_id': 2, 'category_id': 1, 'bbox': [0, 0, 1, 1]}],
    }
    source = text_file(tmp_path / 'a.json', json.dumps(content))
    with pytest.raises(ValueError, match=r'a.json: annotations\[0\]: .* image_id 2'):
        write_voc(source, tmp_path / 'new')
    content['annotations'][0] |= {'image_id': [1]}
    text_file(source, json.dumps(content))
    with pytest.raises(
        ValueError, match=r'annotations\[0\]: image_id: expected .* received \[1\]'
    ):
        write_voc(source, tmp_path / 'new')
    content['annotations'] = []
    text_file(source, json.dumps(content))
    with pytest.raises(ValueError, match='path inside the folder'):
        write_voc(source, tmp_path / 'new')
    assert not (tmp_path / 'new').exists()
