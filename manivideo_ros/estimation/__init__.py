"""The hand estimator: palm detection, landmarks in crops, sides and positions of hands."""
