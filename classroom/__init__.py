"""The course's machinery: what lessons and labs stand on. It uses `mlsecops`, which knows nothing of it.

``lesson``     a sandbox, a service to attack, displays for what was measured
``check``      practice in the notebook, shown as ``cards``
``questions``  every graded question, a folder a lab
``exchange``   both ends of the wall between a judge and what a learner wrote
``drills``     what attacks and stages scenes, on this computer only
"""
