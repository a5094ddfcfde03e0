"""What attacks and stages scenes, on this computer only, so that a lesson can measure a defense.

``packages``      a package index, wheels built by hand, and pip kept away from every other index
``advisories``    an advisory database for pip-audit
``supply_chain``  names, releases, advisories and data files as an attacker would make them
``serving``       the attacker's side of a web service: a client, nonsense, a thief of models, a listener
``loopback``      the small web server under the first two
"""
