# COCO 2017, shorter side 800, longer at most 1333, flipped with probability 0.5.
_base_ = "mmdet::_base_/datasets/coco_instance.py"

# Schedules count iterations: the sampler never ends.
train_dataloader = dict(sampler=dict(_delete_=True, type="InfiniteSampler", shuffle=True))
