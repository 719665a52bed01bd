"""The training loop, the learner and the teacher."""
