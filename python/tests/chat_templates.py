"""The Jinja texts that published folders carry, by the name that unisim gives to what they render."""


def _turns(opening, pictures, text, closing, *, generation):
    """The shape that LLaVA's templates share: pictures first, then texts; later texts mark what the model said."""
    texts = "{% for content in message['content'] | selectattr('type', 'equalto', 'text') %}"
    said = "{% generation %}" + text + "{% endgeneration %}"
    parts = [
        "{% for message in messages %}",
        opening,
        "{# Render all images first #}",
        pictures,
        "{# Render all text next #}",
        "{% if message['role'] != 'assistant' %}" if generation else "",
        texts + text + "{% endfor %}",
        "{% else %}" + texts + said + "{% endfor %}{% endif %}" if generation else "",
        closing,
        "{% endfor %}{% if add_generation_prompt %}",
    ]
    return "".join(parts)


def _each(kind, marker):
    return (
        "{% for content in message['content'] | selectattr('type', 'equalto', '" + kind + "') %}"
        "{{ '" + marker + "' }}{% endfor %}"
    )


def _videos(marker):
    return "{# Render all video then #}" + _each("video", marker)


_ROLE = "{{'<|im_start|>' + message['role'] + '%s'}}"
_ASSISTANT = "{{ '<|im_start|>assistant\n' }}{% endif %}"
_CLOSED = "{{'<|im_end|>' + '\n'}}"


def llava_hf(generation=True):
    """llava-1.5-*-hf."""
    opening = "{% if message['role'] != 'system' %}{{ message['role'].upper() + ': '}}{% endif %}"
    text = "{{ content['text'] + ' '}}"
    turns = _turns(opening, _each("image", "<image>\n"), text, "", generation=generation)
    return turns + "{{ 'ASSISTANT:' }}{% endif %}"


def interleave_hf(generation=True):
    """llava-interleave-qwen-*-hf: as long, as JSON, as its chat_template.json of 699 bytes (485 without the marks)."""
    text = "{{ '\n' + content['text'] }}"
    turns = _turns(_ROLE % "\n", _each("image", "<image>"), text, _CLOSED, generation=generation)
    return turns + _ASSISTANT


def onevision_hf(generation=True):
    """llava-onevision-qwen2-*-hf."""
    pictures = _each("image", "<image>") + _videos("<video>")
    text = "{{ '\n' + content['text'] }}"
    return _turns(_ROLE % " ", pictures, text, "{{'<|im_end|>'}}", generation=generation) + _ASSISTANT


def onevision_hf_2(generation=True):
    """What a later conversion script of transformers writes."""
    pictures = _each("image", "<image>\n") + _videos("<video>\n")
    text = "{{ content['text'] }}"
    return _turns(_ROLE % "\n", pictures, text, _CLOSED, generation=generation) + _ASSISTANT


def internvl_hf(marker="<IMG_CONTEXT>"):
    """InternVL2.5/3-*-hf; older conversions have the marker <image>."""
    return (
        "{% for message in messages %}"
        + _ROLE % "\n"
        + "{% if message['content'] is string %}{{ message['content'] }}"
        "{% else %}{% for content in message['content'] %}{% if content['type'] == 'image' %}{{ '"
        + marker
        + "\n' }}"
        "{% elif content['type'] == 'video' %}{{ '<video>\n' }}"
        "{% elif content['type'] == 'text' %}{{ content['text'] }}{% endif %}{% endfor %}{% endif %}"
        "{{'<|im_end|>\n'}}{% endfor %}{% if add_generation_prompt %}{{'<|im_start|>assistant\n' }}{% endif %}"
    )


KNOWN = {
    "llava_hf": [llava_hf(), llava_hf(False)],
    "interleave_hf": [interleave_hf(), interleave_hf(False)],
    "onevision_hf": [onevision_hf(), onevision_hf(False)],
    "onevision_hf_2": [onevision_hf_2(), onevision_hf_2(False)],
    "internvl_hf": [internvl_hf(), internvl_hf("<image>")],
}
