"""Both ends of the wall between whoever judges and what a learner wrote. Practice and grading use the same ones.

``codec``      plain data, the only thing that crosses
``answer``     what came back for one input, and the names of errors
``stage``      the learner's end: carries out orders, tells events
``conductor``  the judge's end: gives orders, keeps what was seen
``kernel``     a stage in the learner's own notebook, for practice
``marker``     where a payload says that it ran
"""
