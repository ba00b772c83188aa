"""Weights of the original programs are taken strictly, and every tensor is accounted for."""

from __future__ import annotations

import re

import pytest
import torch
from torch import nn

from training.models import ARCHITECTURES
from training.models.network import CenterTrackNetwork, InputStems, make_heads
from training.models.original_checkpoint import load_checkpoint, our_name, read_state_dict

ORIGINAL_NAMES = ((r'^base\.pre_img_layer\.', 'stems.previous_image.'),
                  (r'^base\.pre_hm_layer\.', 'stems.prior_heatmap.'),
                  (r'^base\.base_layer\.', 'stems.image.'))  # fmt: skip
WITHOUT_EFFECT = ((r'^base\.fc\.', 'the classifier of the pre-training'),)


class Tiny(CenterTrackNetwork):
    original_names = ORIGINAL_NAMES
    without_effect = WITHOUT_EFFECT

    def __init__(self, heads, *, previous_image, prior_heatmap):
        super().__init__(heads, previous_image=previous_image, prior_heatmap=prior_heatmap)
        self.stems = InputStems(
            lambda channels: nn.Conv2d(channels, 4, 3, stride=4, padding=1, bias=False),
            previous_image=previous_image,
            prior_heatmap=prior_heatmap,
        )
        self.heads = make_heads(4, heads, 6)

    def forward_stacks(self, image, previous_image=None, prior_heatmap=None):
        features = self.stems(image, previous_image, prior_heatmap)
        return [{name: head(features) for name, head in self.heads.items()}]


def _tiny(classes=2, tracker=True):
    heads = {'hm': classes, 'reg': 2, 'wh': 2} | ({'tracking': 2} if tracker else {})
    return Tiny(heads, previous_image=tracker, prior_heatmap=tracker)


def _original(classes=2, tracker=True):
    """A state dict under the original names, with values of its own."""
    names = {
        'stems.image.': 'base.base_layer.',
        'stems.previous_image.': 'base.pre_img_layer.',
        'stems.prior_heatmap.': 'base.pre_hm_layer.',
        'heads.': '',
    }
    generator = torch.Generator().manual_seed(3)
    state = {}
    for name, value in _tiny(classes, tracker).state_dict().items():
        for ours, theirs in names.items():
            name = name.replace(ours, theirs)
        state[name] = torch.randn(value.shape, generator=generator)
    return state


def test_every_tensor_is_taken_renamed_or_dropped():
    network, state = _tiny(), _original()
    state['base.fc.weight'] = torch.zeros(1000, 4)
    report = load_checkpoint(network, state)
    assert len(report.renamed) == len(network.state_dict())
    assert report.taken == report.missing == ()
    assert report.dropped == (('base.fc.weight', 'the classifier of the pre-training'),)
    assert 'base.fc.weight: the classifier' in str(report)
    assert torch.equal(network.state_dict()['heads.hm.2.bias'], state['hm.2.bias'])
    stem = network.state_dict()['stems.previous_image.weight']
    assert torch.equal(stem, state['base.pre_img_layer.weight'])


@pytest.mark.parametrize('wrapped', [False, True])
@pytest.mark.parametrize('prefix', ['', 'module.'])
def test_files_of_all_programs_are_read(tmp_path, wrapped, prefix):
    state = {prefix + name: value for name, value in _original().items()}
    document = {'epoch': 70, 'state_dict': state} if wrapped else state
    torch.save(document, tmp_path / 'model.pth')
    assert read_state_dict(tmp_path / 'model.pth').keys() == _original().keys()
    network = _tiny()
    load_checkpoint(network, tmp_path / 'model.pth')
    assert torch.equal(network.heads['reg'][0].weight, _original()['reg.0.weight'])


def test_a_file_that_is_no_checkpoint_is_refused(tmp_path):
    torch.save({'state_dict': {'epoch': 3}}, tmp_path / 'model.pth')
    with pytest.raises(ValueError, match='expected a state dict'):
        read_state_dict(tmp_path / 'model.pth')


def test_a_file_that_cannot_be_read_is_explained(tmp_path):
    (tmp_path / 'model.pth').write_bytes(b'not a checkpoint at all')
    with pytest.raises(ValueError, match=r'expected a file of torch\.save with tensors'):
        read_state_dict(tmp_path / 'model.pth')
    with pytest.raises(FileNotFoundError):
        read_state_dict(tmp_path / 'absent.pth')


def test_nothing_is_filled_silently():
    network = _tiny()
    before = {name: value.clone() for name, value in network.state_dict().items()}
    state = _original()
    state['base.level9.weight'] = state.pop('wh.0.bias')
    with pytest.raises(ValueError, match=r'1 tensors of the checkpoint have no place here') as e:
        load_checkpoint(network, state)
    assert 'base.level9.weight' in str(e.value)
    assert 'heads.wh.0.bias' in str(e.value)
    for name, value in network.state_dict().items():
        assert torch.equal(value, before[name])


def test_another_shape_names_both():
    state = _original()
    state['wh.0.bias'] = torch.zeros(9)
    with pytest.raises(ValueError, match=r'heads.wh.0.bias: expected shape \(6,\), .* \(9,\)'):
        load_checkpoint(_tiny(), state)


def test_another_width_of_the_heads_is_no_number_of_classes():
    state = _original()
    state['hm.0.weight'] = torch.zeros(9, 4, 3, 3)
    for initialise in ([], ['classes']):
        with pytest.raises(ValueError, match=r'heads.hm.0.weight: expected shape \(6, 4, 3, 3\)'):
            load_checkpoint(_tiny(), state, initialise=initialise)


def test_another_number_of_classes_names_both_and_the_option():
    with pytest.raises(ValueError, match=r'has 5 classes, the model 2.*initialise classes'):
        load_checkpoint(_tiny(2), _original(5))
    network = _tiny(2)
    first = network.heads['hm'][2].weight.clone()
    report = load_checkpoint(network, _original(5), initialise=['classes'])
    assert dict(report.missing) == {
        'heads.hm.2.weight': '5 classes in the checkpoint, 2 here',
        'heads.hm.2.bias': '5 classes in the checkpoint, 2 here',
    }
    assert torch.equal(network.heads['hm'][2].weight, first)
    assert torch.equal(network.heads['hm'][0].weight, _original(5)['hm.0.weight'])


def test_a_detector_becomes_a_tracker_only_when_asked():
    state = _original(tracker=False)
    with pytest.raises(ValueError, match=r"initialise=\('inputs',\).*initialise=\('heads',\)"):
        load_checkpoint(_tiny(), state)
    report = load_checkpoint(_tiny(), state, initialise=['inputs', 'heads'])
    reasons = {name.split('.')[1]: reason for name, reason in report.missing}
    assert reasons == {
        'previous_image': 'the checkpoint has no such input',
        'prior_heatmap': 'the checkpoint has no such input',
        'tracking': 'new head',
    }


def test_a_head_that_the_model_has_not_is_dropped_only_when_asked():
    state = _original() | {'dep.0.weight': torch.ones(6, 4, 3, 3), 'dep.0.bias': torch.ones(6)}
    with pytest.raises(ValueError, match=r'2 tensors of the checkpoint have no place here: .*dep'):
        load_checkpoint(_tiny(), state, initialise=['inputs', 'classes'])
    network = _tiny()
    report = load_checkpoint(network, state, initialise=['heads'])
    assert report.dropped == (
        ('dep.0.weight', 'the model has no such head'),
        ('dep.0.bias', 'the model has no such head'),
    )
    assert torch.equal(network.heads['wh'][0].weight, state['wh.0.weight'])


@pytest.mark.parametrize(
    ('architecture', 'renames'),
    [
        ('dla34_plain', [('stems.image.', 'base_layer.'), ('levels.', 'level')]),
        ('resnet18', [('stems.image.0', 'conv1'), ('stems.image.1', 'bn1')]),
    ],
)
def test_a_backbone_trained_on_imagenet_starts_a_tracker(architecture, renames):
    """As files of 2018 have it: no prefix, a classifier, batch norms without counters."""
    heads = {'hm': 1, 'reg': 2, 'wh': 2, 'tracking': 2}
    variant = ARCHITECTURES[architecture]
    network = variant.network(heads, previous_image=True, prior_heatmap=True, **variant.variant)
    state = {'fc.bias': torch.zeros(1000)}
    for name, value in network.state_dict().items():
        old = not re.match(r'neck|heads|stems\.pr', name)
        if old and not name.endswith('num_batches_tracked'):
            for ours, theirs in renames:
                name = name.replace(ours, theirs)
            state[name] = torch.full_like(value, 0.5)
    with pytest.raises(ValueError, match=r"initialise=\('neck', 'heads', 'inputs'\)"):
        load_checkpoint(network, state, initialise=['heads', 'inputs'])
    report = load_checkpoint(network, state, initialise=['neck', 'heads', 'inputs'])
    assert {name for name, _ in report.dropped} == {'fc.bias'}
    assert len(report.taken) + len(report.renamed) == len(state) - 1
    new = {name for name, reason in report.missing if reason != 'written by an older PyTorch'}
    assert {name.split('.')[0] for name in new} == {'neck', 'heads', 'stems'}
    assert (network.state_dict()['stems.image.0.weight'] == 0.5).all()


def test_a_head_that_is_partly_there_is_not_new():
    state = _original()
    del state['tracking.2.weight']
    with pytest.raises(ValueError, match=r'heads\.tracking\.2\.weight'):
        load_checkpoint(_tiny(), state, initialise=['heads'])


def test_heads_have_the_names_of_all_programs():
    assert our_name(Tiny, 'hmap.0.weight') == 'heads.hm.0.weight'
    assert our_name(Tiny, 'w_h_.2.bias') == 'heads.wh.2.bias'
    assert our_name(Tiny, 'regs.2.bias') == 'heads.reg.2.bias'
    assert our_name(Tiny, 'level1.0.weight') == 'level1.0.weight'


def test_unknown_part_to_initialise():
    with pytest.raises(ValueError, match=r"expected some of .* received \['everything'\]"):
        load_checkpoint(_tiny(), _original(), initialise=['everything'])
