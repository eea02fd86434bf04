"""Makes the artefact: labelled data, augmentation, fitting, calibration. Never imported while serving."""
