"""The page of the report, a Jinja template.

It is text in the source because data files of a package need care in every way of installing it.
"""

PAGE = """\
<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>Tracking report: {{ summary.input }}</title>
<style>
  body { margin: 0; background: #f6f8fa; color: #24292f;
         font: 15px/1.5 system-ui, -apple-system, "Segoe UI", Roboto, sans-serif; }
  main { max-width: 980px; margin: 0 auto; padding: 32px 20px 64px; }
  h1 { font-size: 24px; margin: 0 0 4px; }
  h2 { font-size: 17px; margin: 36px 0 10px; }
  .lead { color: #57606a; margin: 0 0 20px; }
  .note { color: #57606a; font-size: 13px; margin: 8px 0 0; }
  .cards { display: grid; gap: 10px;
           grid-template-columns: repeat(auto-fill, minmax(140px, 1fr)); }
  .card, figure, .panel { background: #fff; border: 1px solid #d8dee4; border-radius: 8px; }
  .card { padding: 10px 14px; }
  .card b { display: block; font-size: 22px; font-weight: 600; }
  .card span { color: #57606a; font-size: 13px; }
  .card.bad b { color: #cf222e; }
  figure { margin: 0; padding: 12px; }
  figure img { display: block; width: 100%; height: auto; }
  figcaption { color: #57606a; font-size: 13px; padding-top: 8px; }
  .panel { padding: 4px 14px; overflow-x: auto; }
  table { border-collapse: collapse; width: 100%; font-size: 14px; }
  th, td { text-align: left; padding: 6px 10px 6px 0; border-bottom: 1px solid #eaeef2;
           vertical-align: top; }
  tr:last-child td { border-bottom: 0; }
  th { color: #57606a; font-weight: 500; font-size: 13px; }
  td.number, th.number { text-align: right; font-variant-numeric: tabular-nums;
                         white-space: nowrap; }
  td.middle { vertical-align: middle; }
  .bar { background: #1f6feb; height: 9px; border-radius: 2px; min-width: 1px; }
  .changed td { font-weight: 600; }
  code { font-size: 13px; overflow-wrap: anywhere; }
  .columns { display: grid; grid-template-columns: repeat(auto-fit, minmax(380px, 1fr));
             gap: 0 20px; align-items: start; }
  @media (max-width: 460px) { .columns { grid-template-columns: 1fr; } }
</style>
</head>
<body><main>
<h1>{{ summary.input }}</h1>
<p class="lead">{{ summary.model }}, {{ summary.engine }}.
{% if summary.mode == 'live' -%}
Played into the running node at {{ '%g times ' % summary.rate if summary.rate != 1 -}}
the recorded rate of {{ '%.4g' % summary.input_fps }} images per second.
{%- else -%}
Every image in turn, as fast as possible (recorded at {{ '%.4g' % summary.input_fps }} images
per second).
{%- if summary.backdated %} Tracks are back-dated: they begin at their first detection, which a
running node does not report.{% endif %}
{%- endif %}</p>

<div class="cards">
{% for card in cards %}
  <div class="card{{ ' bad' if card.bad }}"><b>{{ card.value }}</b>
  <span>{{ card.label }}</span></div>
{% endfor %}
</div>

{% if sample %}
<h2>What it saw</h2>
<figure><img src="{{ sample }}" alt="Image of the recording with its tracks">
<figcaption>Image {{ sample_number }}, the first with the most tracks. Box and trail have the
colour of the id.</figcaption></figure>
{% endif %}

{% if summary.camera %}
<h2>Boxes in space</h2>
<p>{{ summary.boxes_3d }} boxes, in metres in the camera's optical frame; velocities are relative
to the camera. Camera matrix: {{ summary.camera }}.</p>
{% endif %}

{% if joints %}
<h2>Joints</h2>
<div class="panel"><table>
<tr><th>joint</th><th class="number">visible</th><th class="number">mean score</th>
<th width="45%"></th></tr>
{% for row in joints %}
<tr><td>{{ row.name }}</td><td class="number">{{ row.share }}</td>
<td class="number">{{ row.score }}</td>
<td class="middle"><div class="bar" style="width: {{ row.width }}%"></div></td></tr>
{% endfor %}
</table></div>
<p class="note">Share of the boxes in which a joint is visible, and its mean score in those. Every
joint of every box is in <code>keypoints.json</code>; in the picture above the left of a person is
lighter than the right.</p>
{% endif %}

{% if metrics %}
<h2>Agreement with the ground truth</h2>
<div class="panel"><table>
<tr><th>metric</th><th class="number">value</th><th>meaning</th></tr>
{% for row in metrics %}
<tr><td>{{ row.name }}</td><td class="number">{{ row.value }}</td><td>{{ row.meaning }}</td></tr>
{% endfor %}
</table></div>
<p class="note">{{ summary.ground_truth['file'] }}, class {{ summary.ground_truth['class'] }}, by
TrackEval without preprocessing.</p>
{% endif %}

<h2>Tracks over time</h2>
<figure><img src="{{ plots.timeline }}" alt="One bar per track id over time">
<figcaption>One bar per id over the images in which it was reported.</figcaption></figure>

<h2>Objects per image</h2>
<figure><img src="{{ plots.counts }}" alt="Tracks per image over time"></figure>

<h2>Latency</h2>
<figure><img src="{{ plots.latency }}" alt="Latency over time and its histogram">
<figcaption>{% if summary.mode == 'live' %}From publishing the image to receiving its tracks.
{% else %}Time of one step: image in, tracks out.{% endif %}</figcaption></figure>

<h2>Time per stage</h2>
<div class="panel"><table>
<tr><th>stage</th><th class="number">median</th><th class="number">share</th>
<th width="45%"></th></tr>
{% for row in stages %}
<tr><td>{{ row.name }}</td><td class="number">{{ row.value }}</td>
<td class="number">{{ row.share }}</td>
<td class="middle">{% if row.width %}
<div class="bar" style="width: {{ row.width }}%"></div>{% endif %}</td></tr>
{% endfor %}
</table></div>

{% if summary.resets %}
<h2>Resets of the tracker</h2>
<div class="panel"><table>
<tr><th class="number">image</th><th>reason</th></tr>
{% for reset in summary.resets %}
<tr><td class="number">{{ reset.image }}</td><td>{{ reset.reason }}</td></tr>
{% endfor %}
</table></div>
{% endif %}

<div class="columns">
<section><h2>Settings</h2>
<div class="panel"><table>
{% for row in settings %}
<tr{% if row.changed %} class="changed"{% endif %}><td>{{ row.name }}</td>
<td><code>{{ row.value }}</code></td></tr>
{% endfor %}
</table></div>
<p class="note">Bold: not the default.</p></section>
<section><h2>Environment</h2>
<div class="panel"><table>
{% for name, value in summary.environment.items() %}
<tr><td>{{ name }}</td><td><code>{{ value }}</code></td></tr>
{% endfor %}
</table></div></section>
</div>
</main></body></html>
"""
